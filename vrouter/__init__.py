"""vrouter: the brain of a cloud's virtual router."""
