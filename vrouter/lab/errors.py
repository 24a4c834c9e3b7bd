"""What the lab refuses to do, or could not do."""

from __future__ import annotations

from vrouter.errors import VrouterError


class LabError(VrouterError):
    """A lab that cannot be started, found, entered or changed; says which lab and node, and what to do."""
