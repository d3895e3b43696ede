"""The claims of the sources, by subject; each file holds its :class:`~bayesdip.lab.claim.Claim` in ``CLAIMS``."""
