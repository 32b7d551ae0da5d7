"""Reinforcement learning from a reward: sampling, and the arithmetic of PPO."""
