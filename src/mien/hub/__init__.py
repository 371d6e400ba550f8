"""A model as a folder for Hugging Face's hub: weights, ONNX, ``config.json``, a card that the hub reads, drawn samples.

Using such a folder needs none of this: ``Predictor("FOLDER")``, ``Predictor("hf://owner/name@revision")``. Needs the
extra ``train``. ``docs/hub.md`` shows how to publish one.
"""

from mien.hub.front_matter import front_matter
from mien.hub.pack import pack

__all__ = ["front_matter", "pack"]
