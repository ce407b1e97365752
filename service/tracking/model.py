"""A trained network as MLflow loads it: this file is copied into the model, and run on loading.

It stands alone: whoever loads the model needs numpy, safetensors and MLflow, and neither monosweep
nor torch. Nothing that it reads is ever unpickled.

Dimensions: B samples, N features, m inputs, k neurons; N outputs, or m of the re-projector.
"""

import math
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from numpy.typing import NDArray
from safetensors import safe_open

Array = NDArray[np.float64]

_erf = np.vectorize(math.erf, otypes=[np.float64])

NONLINEARITIES = {
    "relu": lambda pre: np.maximum(pre, 0.0),
    "gelu": lambda pre: 0.5 * pre * (1.0 + _erf(pre / math.sqrt(2.0))),
    "solu": lambda pre: pre * np.exp(pre),
}


class ToyModel(PythonModel):  # type: ignore[misc] # MLflow is untyped
    """``y = W2 act(W1 x + b)``, where the network sees features f as ``x = P f``."""

    def load_context(self, context: Any) -> None:
        """Read the weights.

        Args:
            context: Names the file, which ``network_file`` wrote.
        """
        with safe_open(context.artifacts["network"], framework="numpy") as file:
            self.encoder: Array = file.get_tensor("encoder").astype(np.float64)
            self.bias: Array = file.get_tensor("bias").astype(np.float64)
            self.decoder: Array = file.get_tensor("decoder").astype(np.float64)
            self.projection: Array = file.get_tensor("projection").astype(np.float64)
            self.nonlinearity: str = file.metadata()["nonlinearity"]

    # Of type hints for arrays MLflow takes but the bare one, and warns of none at all.
    def predict(
        self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        """What the network says of its inputs.

        Args:
            context: Not needed.
            model_input: The inputs x. Shape ``[B, m]``.
            params: None are known.

        Returns:
            The outputs y. Shape ``[B, N]``.
        """
        del context, params
        return self.activations(model_input) @ self.decoder

    def activations(self, inputs: Array) -> Array:
        """What its neurons answer to inputs ``[B, m]``. Shape ``[B, k]``."""
        pre = np.asarray(inputs, dtype=np.float64) @ self.encoder.T + self.bias
        return np.asarray(NONLINEARITIES[self.nonlinearity](pre))

    def embed(self, features: Array) -> Array:
        """What the network sees of features ``[B, N]``: its inputs. Shape ``[B, m]``."""
        return np.asarray(features, dtype=np.float64) @ self.projection.T


set_model(ToyModel())
