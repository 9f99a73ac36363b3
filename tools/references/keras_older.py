"""The same models as older releases keep them: ``python tools/references/keras_older.py``, after ``keras_layers.py``.

Needs ``tensorflow-cpu==2.13.1`` in an environment of its own: until that release a ``.keras`` file has its weights in another
place.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

OUT = Path(__file__).resolve().parent.parent.parent / "tests" / "references"

for name in ("deepface", "normalized"):
    tf.keras.models.load_model(OUT / f"{name}.h5", compile=False).save(OUT / f"{name}_2_13.keras")
