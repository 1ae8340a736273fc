"""The tasks: each in its own room, its arrays-to-arrays functions apart from files and rows.

astronn_dist/    spectrophotometric distances
"""
