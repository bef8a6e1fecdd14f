"""The user's own agent as researcher, over the model context protocol: it may read, try and propose, never decide."""
