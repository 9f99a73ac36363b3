"""Training and comparing small networks that differ in one convolution: data, networks, the loop, the run folder.

The pieces know nothing of a terminal; the commands in ``convarium._cli`` show what happens here. Nothing of this is imported
by ``import convarium``, and scikit-learn, safetensors, matplotlib and Pillow only where they are used.
"""
