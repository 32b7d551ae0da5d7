"""The stages of a run, one file each: a Config and run(cfg, workdir). Composition only."""
