"""The claims of the sources as experiments, and the methods that are there only to compare with.

A claim is one :class:`~bayesdip.lab.claim.Claim`; those of the sources stand in ``lab/claims``. The comparison-only
methods (mean-field variational inference, Monte-Carlo dropout, more samplers) stand in ``lab/methods``.
"""
