"""What the page of a training step says, in English and Chinese."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "title": ("One training step, opened up", "拆开看一步训练"),
    "colon": (": ", "："),
    "comma": (", ", "，"),
    "row": ("row", "行号"),
    "before": ("Loss before", "更新前的损失"),
    "after": ("Loss after", "更新后的损失"),
    "check": ("Gradient check", "梯度检验"),
    "passed": ("passed", "通过"),
    "failed": ("FAILED", "未通过"),
    "optimizer": ("Optimizer", "优化器"),
    "settings": ("Settings", "设置"),
    "conditions": (
        "A copy of the trained model takes this step on this one row, on the CPU, with the optimizer's memory empty. "
        "Dropout and augmentation are off; batch norms use their running statistics; the learning rate is the peak.",
        "训练好的模型的副本在 CPU 上只用这一行走这一步，优化器从空状态开始。"
        "关闭 dropout 与数据增强；批归一化用滑动统计量；学习率取峰值。",
    ),
    "diagram": ("The network", "网络"),
    "cells": ("Raw cells", "原始单元格"),
    "inputs": ("Encoded input", "编码后的输入"),
    "forward": ("Forward: every layer's output", "前向：每一层的输出"),
    "units": ("Unit by unit, with the chain rule", "逐个单元与链式法则"),
    "loss": ("Loss", "损失"),
    "no_formula": (
        "No written-out formula is known for this task; the number is the task's own loss.",
        "这种任务没有写出的公式；数字是任务自己的损失。",
    ),
    "penalty": ("of which the L1 term", "其中 L1 项"),
    "gradients": ("Gradients", "梯度"),
    "checks": ("Gradients against central finite differences in float64", "梯度与 float64 中心差分的比较"),
    "check_note": (
        "Error: relative, at most 1e-5 to pass. Corner: the loss has no derivative there, the gradient lies between "
        "both slopes. Directions fewer than weights: the weights were moved together.",
        "误差为相对误差，不超过 1e-5 即通过。拐点：该处没有导数，梯度在两侧斜率之间。"
        "方向数少于权重数：这些权重一起移动。",
    ),
    "updates": ("Update", "更新"),
    "times": ("× step", "步"),
    "nth": ("step {}", "第 {} 步"),
    "norm": ("gradient norm", "梯度范数"),
    "clip": ("gradients times", "梯度乘以"),
    "prediction": ("Prediction", "预测"),
    "earlier": ("before", "更新前"),
    "later": ("after", "更新后"),
    "name": ("name", "名称"),
    "kind": ("kind", "类型"),
    "shape": ("shape", "形状"),
    "mean": ("mean", "均值"),
    "std": ("std", "标准差"),
    "min": ("min", "最小"),
    "max": ("max", "最大"),
    "values": ("values or histogram", "数值或直方图"),
    "slope": ("gradient: mean, std", "梯度：均值，标准差"),
    "weights": ("weights", "权重数"),
    "checked": ("checked", "已检验"),
    "moves": ("directions", "方向数"),
    "kinks": ("corners", "拐点"),
    "error": ("largest error", "最大误差"),
    "result": ("result", "结果"),
    "svg": ("Diagram of the network", "网络图"),
}


def words(language: str) -> dict[str, str]:
    """Return the words of `en` or `zh`."""
    place = ("en", "zh").index(language)
    return {key: both[place] for key, both in WORDS.items()}
