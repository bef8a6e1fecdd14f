"""One module per family of verbs. They import the engine inside the verb, so that `midas --help` stays instant."""
