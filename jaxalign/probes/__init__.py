"""What a model holds and does: hidden states, log-odds, directions, linear probes, similarity."""
