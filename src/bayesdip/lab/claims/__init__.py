"""One claim a file; each holds one :class:`~bayesdip.lab.claim.Claim` by the name ``CLAIM``."""
