"""Llama-2 and Phi-2 as Flax modules, heads, adapters, the way from and to Hugging Face."""
