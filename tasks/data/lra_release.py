"""The archive of the Long Range Arena, which holds data sets of several groups."""

from tasks.data.archives import Archive

INNER_FOLDER = "lra_release/lra_release"
"""The archive holds a folder of its own name once more; the outer one repeats two data sets, one of them faulty."""

ARCHIVE = Archive(
    # A tar file, in spite of its name: 8.2 GB, and 18.6 GB unpacked.
    name="lra_release.gz",
    urls=("https://storage.googleapis.com/long-range-arena/lra_release.gz",),
    # None is published: the archive must be whole, and each data set have its published number of samples.
    md5=None,
    md5_of="content",
)
