"""Updates: rolling a job from one configuration to the next, one instance at a time."""
