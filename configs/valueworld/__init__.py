"""The parts that configs/study_valueworld.py puts together."""
