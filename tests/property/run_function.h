// Calls of a program's functions.
#pragma once

#include "tests/property/ops_maker.h"
#include "tests/property/program.h"

namespace tl::property {

// Runs `function` on `params`; `sizes` decides what differs from call to call. `cache`, [rows, cols] or no
// tensor, may become a longer or a shorter one. Gives its last values; some may be no tensors.
std::vector<Tensor> run_function(OpsMaker& ops, const Program& program, const Function& function,
                                 std::vector<Tensor> params, Tensor& cache, u64 sizes);

}  // namespace tl::property
