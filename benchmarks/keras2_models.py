"""Models for `keras2.py`, written for the Keras of TensorFlow 2.13 to 2.15: one function a model.

Each takes (tf, K, L), which are TensorFlow, tf.keras and its layers, and returns a model. Pictures are 0-255.
"""

from __future__ import annotations

import numpy as np

SIDE = 20


def _picture(K, side=SIDE, channels=3, **options):
    return K.Input((side, side, channels), **options)


def _head(K, L, x, classes=5):
    x = L.GlobalAveragePooling2D()(x)
    return L.Dense(classes, activation="softmax", name="answer", dtype="float32")(x)


def plain_sequential(tf, K, L):
    return K.Sequential([
        _picture(K), L.Rescaling(1 / 255), L.Conv2D(6, 3, activation="relu"), L.MaxPooling2D(),
        L.Conv2D(8, 3, padding="same", activation="relu"), L.BatchNormalization(), L.AveragePooling2D(padding="same"),
        L.Flatten(), L.Dropout(0.3), L.Dense(12, activation="tanh"), L.Dense(5, activation="softmax"),
    ])  # fmt: skip


def lazy_sequential(tf, K, L):
    model = K.Sequential([L.Rescaling(1 / 127.5, offset=-1), L.Conv2D(4, 5, strides=2), L.ReLU(), L.Flatten(),
                          L.Dense(4), L.Softmax()])  # fmt: skip
    model(np.zeros((7, SIDE, SIDE, 3), "float32"))
    return model


def input_shape_sequential(tf, K, L):
    return K.Sequential([
        L.Conv2D(4, 3, input_shape=(SIDE, SIDE, 3), activation="relu", kernel_regularizer="l2"),
        L.Conv2D(4, 3, kernel_constraint=K.constraints.MaxNorm(2.0), bias_initializer=K.initializers.Constant(0.1),
                 kernel_initializer=K.initializers.VarianceScaling(2.0, "fan_out", "uniform"),
                 activity_regularizer=K.regularizers.L1(1e-4)),
        L.GlobalMaxPooling2D(), L.Dense(3, activation="softmax", kernel_initializer="he_normal"),
    ])  # fmt: skip


def residual(tf, K, L):
    images = _picture(K)
    x = L.Rescaling(1 / 255)(images)
    x = L.Conv2D(6, 3, padding="same", use_bias=False)(x)
    x = start = L.ReLU(max_value=6)(L.BatchNormalization()(x))
    x = L.Conv2D(6, 3, padding="same", use_bias=False)(x)
    x = L.BatchNormalization(scale=False, momentum=0.9, epsilon=1e-5)(x)
    x = L.Activation("relu")(L.Add()([x, start]))
    x = L.Concatenate()([x, L.Multiply()([x, start]), L.Subtract()([x, start])])
    return K.Model(images, _head(K, L, x), name="small_resnet")


def separable(tf, K, L):
    images = _picture(K)
    x = L.Rescaling(1 / 255)(images)
    x = L.LeakyReLU(alpha=0.2)(L.DepthwiseConv2D(3, depth_multiplier=2)(x))
    x = L.ELU(alpha=0.7)(L.SeparableConv2D(6, 3, activation="relu")(x))
    x = L.PReLU(shared_axes=[1, 2])(L.Conv2D(6, 3, groups=2, dilation_rate=2)(x))
    x = L.ThresholdedReLU(theta=0.02)(x)
    x = L.ReLU(negative_slope=0.1, threshold=0.01, max_value=3)(x)
    return K.Model(images, _head(K, L, L.GlobalAveragePooling2D(keepdims=True)(x)))


def shapes(tf, K, L):
    images = _picture(K)
    x = L.ZeroPadding2D(((1, 2), (0, 1)))(L.Rescaling(1 / 255)(images))
    x = L.Conv2DTranspose(5, 3, strides=2, padding="same", activation="relu")(x)
    x = L.UpSampling2D(interpolation="bilinear")(L.Cropping2D(3)(x))
    x = L.Permute((2, 1, 3))(L.MaxPooling2D(3, strides=2, padding="same")(x))
    x = L.SpatialDropout2D(0.2)(L.Dense(4, activation="gelu")(x))
    x = L.GaussianNoise(0.1)(L.Reshape((-1, 4))(x))
    x = L.Conv1D(6, 5, strides=4, activation="selu")(x)
    x = L.Average()([L.GlobalAveragePooling1D()(x), L.GlobalMaxPooling1D()(x)])
    return K.Model(images, L.Dense(4, "softmax")(L.AlphaDropout(0.1)(L.LayerNormalization()(x))))


def activations(tf, K, L):
    images = _picture(K, 8)
    x = L.Rescaling(1 / 255)(images)
    names = ["elu", "exponential", "gelu", "hard_sigmoid", "linear", "relu", "selu", "sigmoid", "softplus", "softsign",
             "swish", "tanh", "softmax", tf.nn.relu6, tf.nn.silu, tf.nn.leaky_relu, tf.nn.gelu, L.LeakyReLU(0.3),
             L.ReLU(6.0)]  # fmt: skip
    branches = [L.Conv2D(2, 1, activation=name)(x) for name in names]
    x = L.Concatenate()([*branches, L.Activation("hard_sigmoid")(x)])
    return K.Model(images, _head(K, L, x))


def augmented(tf, K, L):
    """Every layer that prepares or varies pictures."""
    images = _picture(K, 26)
    varied = K.Sequential([
        L.RandomFlip("horizontal"), L.RandomRotation(0.2, fill_mode="nearest"), L.RandomZoom(0.1, 0.2),
        L.RandomTranslation(0.1, 0.1), L.RandomContrast(0.2), L.RandomBrightness(0.1),
    ], name="augmentation")(images)  # fmt: skip
    x = L.RandomHeight(0.1)(L.RandomWidth(0.1)(L.RandomCrop(24, 24)(varied)))
    x = L.Resizing(17, 19, crop_to_aspect_ratio=True)(x)
    x = L.CenterCrop(15, 14)(L.Resizing(18, 18, interpolation="bicubic")(x))
    statistics = L.Normalization()
    statistics.adapt(np.random.default_rng(0).uniform(0, 255, (16, 26, 26, 3)).astype("float32"))
    x = L.Rescaling([0.5, 1.0, 2.0], offset=[0.1, 0.2, 0.3])(statistics(x))
    x = L.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(x)
    return K.Model(images, _head(K, L, L.Conv2D(6, 3, activation="relu")(x)))


def _base(K, L, name="base"):
    images = _picture(K)
    x = L.Conv2D(6, 3, strides=2, use_bias=False, name=f"{name}_conv")(images)
    x = L.ReLU(6.0)(L.BatchNormalization(name=f"{name}_bn")(x))
    x = L.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    return K.Model(images, L.ReLU(6.0)(L.BatchNormalization(name=f"{name}_bn_2")(x)), name=name)


def transfer_tf(tf, K, L):
    """As in TensorFlow's tutorial: augmentation, preprocess_input, a frozen base called with training=False."""
    images, base = _picture(K), _base(K, L)
    base.trainable = False
    x = K.Sequential([L.RandomFlip("horizontal"), L.RandomRotation(0.2)])(images)
    x = base(K.applications.mobilenet_v2.preprocess_input(x), training=False)
    x = L.Dropout(0.2)(L.GlobalAveragePooling2D()(x))
    return K.Model(images, L.Dense(5, activation="softmax")(x))


def transfer_caffe(tf, K, L):
    """Blue first and centred, in a base whose last layers were tuned."""
    images, base = _picture(K), _base(K, L)
    for layer in base.layers[:3]:
        layer.trainable = False
    return K.Model(images, _head(K, L, base(K.applications.resnet50.preprocess_input(images))))


def transfer_torch(tf, K, L):
    images = _picture(K)
    x = K.applications.densenet.preprocess_input(images)
    return K.Model(images, _head(K, L, _base(K, L)(x)))


def nested_three_deep(tf, K, L):
    inner = K.Sequential(
        [_picture(K, 9, 6), L.Conv2D(6, 3, padding="same"), L.BatchNormalization(), L.ReLU()], name="c"
    )
    images = _picture(K)
    between = K.Model(images, L.Conv2D(6, 1)(inner(_base(K, L)(images))), name="b")
    between.layers[1].trainable = False
    return K.Sequential([_picture(K), L.Rescaling(1 / 127.5, -1), between, L.GlobalAveragePooling2D(),
                         L.Dense(4, "softmax")])  # fmt: skip


def model_first(tf, K, L):
    """A Sequential whose first layer is a model."""
    return K.Sequential([_base(K, L), L.GlobalAveragePooling2D(), L.Dense(4, "softmax")])


def shared(tf, K, L):
    images = _picture(K)
    x = L.Rescaling(1 / 255)(images)
    convolution, base = L.Conv2D(3, 3, padding="same", activation="relu"), _base(K, L)
    x = convolution(convolution(x))
    both = L.Maximum()([base(x), base(L.Rescaling(0.5)(x))])
    return K.Model(images, _head(K, L, both))


def mixed_precision(tf, K, L):
    K.mixed_precision.set_global_policy("mixed_float16")
    try:
        images = _picture(K)
        x = L.Conv2D(8, 3, use_bias=False)(L.Rescaling(1 / 255)(images))
        x = L.SeparableConv2D(8, 3)(L.Activation("swish")(L.BatchNormalization()(x)))
        x = L.LeakyReLU(0.1)(L.DepthwiseConv2D(3)(x))
        return K.Model(images, _head(K, L, x))
    finally:
        K.mixed_precision.set_global_policy("float32")


def two_outputs(tf, K, L):
    images = _picture(K)
    x = L.Conv2D(6, 3, activation="relu")(L.Rescaling(1 / 255)(images))
    return K.Model(images, [_head(K, L, x), L.Dense(1, "sigmoid", name="quality")(L.Flatten()(x))])


def operations(tf, K, L):
    """TensorFlow's own functions between layers."""
    images = _picture(K)
    x = tf.cast(images, "float32") / 255.0
    x = (1.0 - x) * [1.0, 2.0, 3.0] + 0.5
    x = tf.concat([x, tf.nn.relu(-x + 1.0), tf.nn.silu(x), x**2], axis=-1)
    x = tf.pad(x[:, 1:-1, ::-1], [[0, 0], [1, 1], [2, 0], [0, 0]], constant_values=0.1)
    x = tf.image.resize(x, (12, 14), method="bicubic")
    x = L.Conv2D(8, 3, activation=tf.nn.relu6)(x)
    a, b = tf.split(x, 2, axis=-1)
    x = tf.nn.leaky_relu(a, 0.1) * tf.sigmoid(b) + tf.maximum(a, b) - tf.clip_by_value(a, 0, 1)
    x = tf.where(x > 0.2, x, x * 0.5)
    x = tf.transpose(tf.nn.max_pool2d(x, 2, 2, "SAME"), [0, 2, 1, 3])
    x = tf.stack([tf.reduce_max(x, axis=(1, 2)), K.backend.mean(x, axis=[1, 2])], axis=1)
    x = tf.math.l2_normalize(tf.reshape(x, (-1, 8)), axis=-1)
    return K.Model(images, tf.nn.softmax(L.Dense(4)(tf.expand_dims(x, 1))[:, 0]))


def dynamic_shapes(tf, K, L):
    images = _picture(K)
    x = tf.image.per_image_standardization(tf.image.central_crop(images / 255.0, 0.8))
    x = L.Conv2D(4, 3, strides=2)(x)
    x = tf.reshape(x, (tf.shape(x)[0], x.shape[1] * x.shape[2] * x.shape[3]))
    return K.Model(images, L.Dense(4, "softmax")(x))


def grey(tf, K, L):
    images = _picture(K, 16, 1)
    x = tf.image.grayscale_to_rgb(images)
    return K.Model(images, _head(K, L, L.Conv2D(5, 3, activation="relu")(L.Rescaling(1 / 255)(x))))


def whole_numbers(tf, K, L):
    images = _picture(K, dtype="uint8")
    x = tf.image.convert_image_dtype(images, tf.float32)
    return K.Model(images, _head(K, L, L.Conv2D(5, 3, activation="relu")(x)))


def attention(tf, K, L):
    images = _picture(K, 16)
    x = L.Conv2D(8, 4, strides=4)(L.Rescaling(1 / 255)(images))
    x = L.Reshape((16, 8))(x)
    y = L.LayerNormalization(epsilon=1e-6)(x)
    x = L.Add()([x, L.MultiHeadAttention(2, 4, dropout=0.1)(y, y)])
    x = x + L.Dense(8, activation="gelu")(L.LayerNormalization()(x))
    x = L.Attention(use_scale=True)([x, x])
    return K.Model(images, L.Dense(4, "softmax")(L.GlobalAveragePooling1D()(x)))


def recurrent(tf, K, L):
    images = _picture(K, 12)
    x = L.Reshape((12, 36))(L.Rescaling(1 / 255)(images))
    x = L.Bidirectional(L.LSTM(4, return_sequences=True))(L.TimeDistributed(L.Dense(6, "relu"))(x))
    x = L.GRU(5, return_sequences=True)(L.SimpleRNN(5, return_sequences=True)(x))
    return K.Model(images, L.Dense(4, "softmax")(L.LSTM(4, recurrent_activation="hard_sigmoid")(x)))


def slashes(tf, K, L):
    images = _picture(K)
    x = L.Rescaling(1 / 255, name="head/scale")(images)
    x = L.Conv2D(5, 3, name="block_1/conv")(x)
    x = L.Conv2D(5, 3, name="block_1_conv")(L.BatchNormalization(name="block_1/bn")(x))
    return K.Model(images, _head(K, L, x))


SMALL = [
    plain_sequential, lazy_sequential, input_shape_sequential, residual, separable, shapes, activations, augmented,
    transfer_tf, transfer_caffe, transfer_torch, nested_three_deep, model_first, shared, mixed_precision, two_outputs,
    operations, dynamic_shapes, grey, whole_numbers, attention, recurrent, slashes,
]  # fmt: skip


def _application(name, side, **options):
    def build(tf, K, L):
        images = _picture(K, side)
        base = getattr(K.applications, name)(include_top=False, weights=None, input_shape=(side, side, 3), **options)
        return K.Model(images, _head(K, L, base(images), 10))

    build.__name__ = name
    return build


def _transfer(name, module, side):
    def build(tf, K, L):
        images = _picture(K, side)
        base = getattr(K.applications, name)(include_top=False, weights=None, input_shape=(side, side, 3))
        base.trainable = False
        x = K.Sequential([L.RandomFlip("horizontal"), L.RandomRotation(0.2), L.RandomZoom(0.2)])(images)
        x = getattr(K.applications, module).preprocess_input(x)
        x = L.Dropout(0.2)(L.GlobalAveragePooling2D()(base(x, training=False)))
        return K.Model(images, L.Dense(10, activation="softmax")(x))

    build.__name__ = f"transfer_{name}"
    return build


def mixed_resnet50(tf, K, L):
    """Deep: the answers of TensorFlow 2.15 itself in float16 and float32 are 4.5e-3 apart, more than the limit."""
    K.mixed_precision.set_global_policy("mixed_float16")
    try:
        images = _picture(K, 64)
        base = K.applications.ResNet50(include_top=False, weights=None, input_shape=(64, 64, 3))
        return K.Model(images, _head(K, L, base(L.Rescaling(1 / 127.5, -1)(images)), 10))
    finally:
        K.mixed_precision.set_global_policy("float32")


def whole_mobilenet_v2(tf, K, L):
    """With its own head, not nested."""
    return K.applications.MobileNetV2(weights=None, classes=10, input_shape=(64, 64, 3), alpha=0.5)


LARGE = [
    _application("ResNet50", 64), _transfer("MobileNetV2", "mobilenet_v2", 64), whole_mobilenet_v2,
    _application("EfficientNetB0", 64), _transfer("ResNet50", "resnet50", 64), mixed_resnet50,
    _application("MobileNetV3Small", 64), _application("DenseNet121", 64), _application("VGG16", 64),
    _application("EfficientNetV2B0", 64), _application("ConvNeXtTiny", 64),
]  # fmt: skip
