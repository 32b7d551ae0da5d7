"""Exit statuses of jaxalign's commands, for those that start them too: nothing is imported here."""

FAULT = 1  # ours, or the machine's
BAD_INPUT = 2  # the user must mend it: started again as it is, it would end so again
SPENT = 3  # the purse is empty, all paid answers kept: with a higher max_cost it goes on
UNFINISHED = 75  # told to stop, all saved; EX_TEMPFAIL of sysexits.h: the same command goes on
KEYBOARD = 130
