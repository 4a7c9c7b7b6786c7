"""
    HybridWater

The Julia side of the Python package hybridwater: right-hand sides compiled from generated source,
solved by OrdinaryDiffEq from record edge to record edge, and differentiated step by step.
"""
module HybridWater

using ForwardDiff: ForwardDiff
using FunctionWrappers: FunctionWrapper
using KLU: klu, klu!
using LinearAlgebra: I, axpy!, ldiv!, lu!, mul!
using LinearSolve: KLUFactorization
using OrdinaryDiffEqBDF: FBDF
using OrdinaryDiffEqCore: CompositeAlgorithm
using OrdinaryDiffEqRosenbrock: Rodas5P, Rosenbrock23
using OrdinaryDiffEqSDIRK: KenCarp4, TRBDF2
using OrdinaryDiffEqTsit5: AutoTsit5, Tsit5
using PrecompileTools: @compile_workload
using RuntimeGeneratedFunctions: RuntimeGeneratedFunctions, RuntimeGeneratedFunction
using SciMLBase:
    SciMLBase, ODEFunction, ODEProblem, ReturnCode, add_tstop!, check_error, init, step!, u_modified!
using SparseArrays: SparseMatrixCSC, nonzeros, sparse

RuntimeGeneratedFunctions.init(@__MODULE__)

include("interrupt.jl")
include("bridge.jl")
include("packages.jl")
include("functions.jl")
include("roots.jl")
include("networks.jl")
include("forcing.jl")
include("sparsity.jl")
include("model.jl")
include("entry.jl")
include("columns.jl")
include("sums.jl")
include("explicit.jl")
include("second.jl")
include("rosenbrock.jl")
include("thresholds.jl")
include("adaptive.jl")
include("steps.jl")
include("forward.jl")
include("sweep.jl")
include("batch.jl")
include("evaluate.jl")
include("problems.jl")
include("workload.jl")

end
