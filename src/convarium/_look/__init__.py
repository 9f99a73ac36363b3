"""How what a convolution is and does is shown: as data, text, equations and figures, as a page for browsers and in notebooks.
Nothing is computed here that is not shown."""
