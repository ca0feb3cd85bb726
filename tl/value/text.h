// Values as the text print writes, and Python's format marks ("{x:>8.3f}").
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "tl/device/host_tensor.h"
#include "tl/value/value.h"

namespace tl::lang {

// 5.0 is "5", 0.1 is "0.1", never an exponent: a float on its own.
std::string float_text(f64 value);
std::string float_text(f32 value);
// 5.0 is "5.0", 1e20 is "1e20": a float inside a list.
std::string float_in_list_text(f64 value);

// Where the values of a tensor come from: of Executor::read, as a rule.
using ReadTensor = std::function<Result<HostTensor>(const Tensor&)>;

// What print writes for `value`. Reads, and so waits for, tensors.
Result<std::string> text_of(const ReadTensor& read, const Value& value);
// `value` under the marks after the colon of "{x:...}"; none is text_of.
Result<std::string> format_value(const ReadTensor& read, const Value& value, std::string_view spec);

// "[[1.0000 2.0000]\n [3.0000 4.0000]] shape=[2, 2] float32". From 1,000 elements on, three at each end of
// each axis.
std::string tensor_text(const HostTensor& tensor, int decimals = 4);

// Replaces each "{}" and "{:spec}" of `format` by the next of `values`; "{{" and "}}" stand for braces.
Result<std::string> format_text(const ReadTensor& read, std::string_view format,
                                std::span<const Value> values);

}  // namespace tl::lang
