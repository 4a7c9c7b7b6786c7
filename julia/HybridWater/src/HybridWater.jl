"""
    HybridWater

The Julia side of the Python package hybridwater. It holds no solvers yet.
"""
module HybridWater

end
