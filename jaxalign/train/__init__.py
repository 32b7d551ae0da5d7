"""The engine: state, optimizer, the one loop, checkpoints, metrics. It sees pytrees, not models."""
