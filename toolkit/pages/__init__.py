"""Pages to look at and listen to: one HTML file each, with everything inside, no network.

template (page from assets and data)   clip_media (a clip's sound and picture as data URIs)
report (an experiment's data)          comparison (of several, or of rounds)
review (a relabeling's data, or a curated set's)
assets/*.html, *.css, *.js             what the pages consist of
"""
