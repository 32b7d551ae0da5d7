"""Getting runs onto machines, and rehearsing that on one."""
