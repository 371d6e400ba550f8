"""A study out of many recordings: who showed what in which condition, with tests, figures, a page and a paragraph.

``docs/study.md`` shows the way. Leaves out: following faces (``mien video`` does it), and coding (``mien.study``).
"""
