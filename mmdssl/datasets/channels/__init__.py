"""Images of n channels, of 16 bits or of floating point: read, brought to [0, 1], and measured."""

from mmdssl.datasets.channels.false_colours import FalseColours, false_colours
from mmdssl.datasets.channels.files import CHANNEL_EXTENSIONS, samples_shape
from mmdssl.datasets.channels.reader import ChannelReader, Scale
from mmdssl.datasets.channels.statistics import ChannelStatistics, channel_statistics

__all__ = [
    'CHANNEL_EXTENSIONS',
    'ChannelReader',
    'ChannelStatistics',
    'FalseColours',
    'Scale',
    'channel_statistics',
    'false_colours',
    'samples_shape',
]
