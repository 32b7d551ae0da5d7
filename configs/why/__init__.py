"""The parts that configs/study_why.py puts together."""
