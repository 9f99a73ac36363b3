"""How what a convolution is and does is shown: as text and as figures. Nothing is computed here that is not shown."""
