"""Training steps for XLA. Images are [n, height, width, channels], which is how XLA's CPU convolutions are fast."""
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def _mlp(p, x):
    return jax.nn.relu(x.reshape(x.shape[0], -1) @ p[0] + p[1]) @ p[2] + p[3]


def _conv(x, weight, bias):
    return lax.conv_general_dilated(x, weight, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")) + bias


def _pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _lenet(p, x):
    x = _pool(_conv(_pool(_conv(x, p[0], p[1])), p[2], p[3]))
    return jax.nn.relu(x.reshape(x.shape[0], -1) @ p[4] + p[5]) @ p[6] + p[7]


def _lstm(p, x):
    def cell(carry, row):
        hidden, state = carry
        i, f, o, a = jnp.split(row @ p[0] + hidden @ p[1] + p[2], 4, 1)
        state = jax.nn.sigmoid(f) * state + jax.nn.sigmoid(i) * jnp.tanh(a)
        return (jax.nn.sigmoid(o) * jnp.tanh(state), state), None

    zero = jnp.zeros((x.shape[0], 128))
    (hidden, _), _ = lax.scan(cell, (zero, zero), x[..., 0].swapaxes(0, 1))
    return hidden @ p[3] + p[4]


NETS = {
    "mlp": (_mlp, ((784, 256), (256,), (256, 10), (10,))),
    "lenet": (_lenet, ((5, 5, 1, 20), (20,), (5, 5, 20, 50), (50,), (800, 500), (500,), (500, 10), (10,))),
    "lstm": (_lstm, ((28, 512), (128, 512), (512,), (128, 10), (10,))),
}


def training_step(workload, batch):
    """A function that does one step. Raises KeyError for what is not written here."""
    net, shapes = NETS[workload.name]
    random = np.random.default_rng(0)
    channels, height, width = workload.shape
    x = jnp.array(random.standard_normal((batch, height, width, channels)), jnp.float32)
    y = jnp.array(random.integers(0, workload.classes, batch))
    p = [jnp.array(random.standard_normal(shape) * 0.05, jnp.float32) for shape in shapes]
    zeros = lambda: [jnp.zeros_like(a) for a in p]

    def loss(p, x, y):
        return -jnp.take_along_axis(jax.nn.log_softmax(net(p, x)), y[:, None], 1).mean()

    def sgd(p, slots, x, y):
        value, gradient = jax.value_and_grad(loss)(p, x, y)
        m = [0.9 * a + g for a, g in zip(slots[0], gradient)]
        return [a - 0.01 * b for a, b in zip(p, m)], (m,), value

    def adam(p, slots, x, y):
        value, gradient = jax.value_and_grad(loss)(p, x, y)
        m, v, t = slots
        t = t + 1
        m = [0.9 * a + 0.1 * g for a, g in zip(m, gradient)]
        v = [0.999 * a + 0.001 * g * g for a, g in zip(v, gradient)]
        p = [a - 1e-3 * (b / (1 - 0.9**t)) / (jnp.sqrt(c / (1 - 0.999**t)) + 1e-8) for a, b, c in zip(p, m, v)]
        return p, (m, v, t), value

    rule, slots = (adam, (zeros(), zeros(), jnp.float32(0))) if workload.optimizer == "adam" else (sgd, (zeros(),))
    step = jax.jit(rule, donate_argnums=(0, 1))
    held = [p, slots]

    def run():
        held[0], held[1], value = step(held[0], held[1], x, y)
        value.block_until_ready()

    return run
