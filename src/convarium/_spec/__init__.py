"""What a convolution *is*: frozen values, shapes and tables. Nothing here convolves.

Wrong arguments are refused here, before anything is computed; signals, which have no channels, check the rest of theirs.

``geometry``   where windows lie, one direction at a time
``sharing``    which kernel a position uses
``channels``   which input channels an output channel reads
``patterns``   the masks of the graphs that have names; ``naming``: the name of a mask
``edges_text`` a graph's edges as a short text; ``exchange``: as arrays, matrices, files and others' graphs
``kernels``    which kernels of a layer are worth keeping, for a graph of them
``stack``      graphs after each other
``wiring``     how a weight's layout meets the channels, and the text of it that an operator carries
``problem``    all of these together, with batch, dtype and device: all that a plan or an engine needs to know
``spans``      the positions of a problem cut where their windows change
``work``       what an engine would do for a problem: operations, bytes and workspace
``lengths``    the lengths that Fourier transforms are fast at

``call``       what the caller of a function wrote, checked and put into one form
``layer``      what a layer is told when it is made
``arguments``  single arguments: numbers, sizes, padding, flags and names
``channel_arguments``  the same of graphs
``shapes``     whether the shapes of a call fit together
``tensors``    which kinds of tensors take part
``limits``     how large anything may be
``shown``      how a message shows a value
"""
