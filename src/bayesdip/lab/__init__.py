"""The claims of the sources as experiments: each is one file in ``lab/claims``."""
