"""The network of ``planted``, which takes its time: an audit of it can be told to end in the middle."""

import time

import planted


class Net(planted.Net):
    def forward(self, x):
        time.sleep(0.2)
        return super().forward(x)


build = Net
