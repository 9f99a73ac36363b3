"""What a convolution *is*: frozen values, no tensors; every argument error comes from here.

``geometry``   where windows lie, one direction at a time
``sharing``    which kernel a position uses
``channels``   which input channels an output channel reads
``problem``    the three together, with batch, dtype and device: all that a plan or an engine needs to know
``spans``      the positions of a problem cut where their windows change
``call``       what the caller wrote, checked and put into that form
"""
