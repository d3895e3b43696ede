"""Many pictures: by several processes of this machine or a cluster, and into a folder that knows what is done."""

from __future__ import annotations

from bayesdip.batch_processing.batch_function import BatchItem, batch

__all__ = ["BatchItem", "batch"]
