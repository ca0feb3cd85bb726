// The rows of the natives, by family; builtins.cpp puts them into the table. families.cpp lists the
// functions.
#pragma once

#include <span>

#include "tl/builtins/builtins.h"

namespace tl::lang {

std::span<const Builtin> array_natives();
std::span<const Builtin> counted_natives();
std::span<const Builtin> data_natives();
std::span<const Builtin> io_natives();
std::span<const Builtin> linalg_natives();
std::span<const Builtin> list_natives();
std::span<const Builtin> map_natives();
std::span<const Builtin> model_natives();
std::span<const Builtin> random_natives();
std::span<const Builtin> repeat_natives();
std::span<const Builtin> runtime_natives();
std::span<const Builtin> scalar_natives();
std::span<const Builtin> sequence_natives();
std::span<const Builtin> string_natives();
std::span<const Builtin> system_natives();
std::span<const Builtin> task_natives();
std::span<const Builtin> tensor_natives();
std::span<const Builtin> vmap_natives();

// Rows of one file, and the family of builtin_families() that they belong to.
struct NativeRows {
  std::string_view family;
  std::span<const Builtin> (*rows)();
};
std::span<const NativeRows> all_native_rows();

// The op `name` on plain numbers, as a float; null if it has no such meaning.
using ScalarFn = f64 (*)(f64 x);
ScalarFn scalar_function(std::string_view name);

}  // namespace tl::lang
