# Models with columns: slopes by colours, and the linear systems of their steps.

"Whether a model has columns, and so a sparse Jacobian."
has_columns(entry::Entry) = !isempty(entry.functions.sparsity.colours)

"""
    slopes!(J::SparseMatrixCSC, entry, u, tau)

As for a dense matrix; `J` has the pattern of `square` in [`Sparsity`](@ref).
"""
function slopes!(J::SparseMatrixCSC, entry::Entry, u, tau)
    s = entry.functions.sparsity
    forcing_at!(entry.x, entry.coefficients, tau)
    forcing_slope!(entry.dx, entry.coefficients, tau)
    entry.dx ./= entry.options.step
    numbers = nonzeros(J)
    fill!(numbers, 0.0)
    fill!(entry.T, 0.0)
    time = maximum(s.colours) + 1
    last = entry.options.interpolation === :constant ? time - 1 : time
    for before in 0:4:(last - 1)
        direction(c) = ForwardDiff.Partials(ntuple(k -> k == c - before ? 1.0 : 0.0, Val(4)))
        @inbounds for i in 1:entry.states
            s.u[i] = Dual4(u[i], direction(s.colours[i]))
        end
        @inbounds for i in eachindex(s.x)
            s.x[i] = Dual4(entry.x[i], entry.dx[i] * direction(time))
        end
        entry.functions.several(s.y, s.u, s.x, entry.p, entry.w)
        @inbounds for k in eachindex(s.places)
            c = s.colours[s.columns[k]] - before
            1 <= c <= 4 && (numbers[s.places[k]] = ForwardDiff.partials(s.y[s.rows[k]], c))
        end
        c = time - before
        if last == time && 1 <= c <= 4
            @inbounds for row in eachindex(entry.T)
                entry.T[row] = ForwardDiff.partials(s.y[row], c)
            end
        end
    end
    return nothing
end

"The matrix of a step, `I / (h gamma) - J`, factorised; `old` is a factorisation of its pattern."
function factorised!(W::SparseMatrixCSC, J::SparseMatrixCSC, entry::Entry, shift, old)
    s = entry.functions.sparsity
    numbers = nonzeros(W)
    fill!(numbers, 0.0)
    numbers[s.inner_places] .-= view(nonzeros(J), s.inner_from)
    numbers[s.diagonal] .+= shift
    return isnothing(old[]) ? (old[] = klu(W)) : klu!(old[], W)
end

"Add the outputs' rows of `J` times `ku` to `kz`."
function through!(kz, J::SparseMatrixCSC, entry::Entry, ku)
    s = entry.functions.sparsity
    numbers = nonzeros(J)
    @inbounds for k in eachindex(s.places)
        row = s.rows[k] - entry.states
        row > 0 && (kz[row] += numbers[s.places[k]] * ku[s.columns[k]])
    end
    return nothing
end

"Add the outputs' rows of `J`, transposed, times `zs` to `us`."
function back_through!(us, J::SparseMatrixCSC, entry::Entry, zs)
    s = entry.functions.sparsity
    numbers = nonzeros(J)
    @inbounds for k in eachindex(s.places)
        row = s.rows[k] - entry.states
        row > 0 && (us[s.columns[k]] += numbers[s.places[k]] * zs[row])
    end
    return nothing
end
