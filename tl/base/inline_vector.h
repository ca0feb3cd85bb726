// A vector of at most N elements stored in place: shapes, strides, operand lists. Never allocates.
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>
#include <span>

#include "tl/base/check.h"
#include "tl/base/types.h"

namespace tl {

template <typename T, int N>
class InlineVector {
 public:
  InlineVector() = default;
  InlineVector(std::initializer_list<T> values) { assign(values.begin(), values.end()); }
  explicit InlineVector(std::span<const T> values) { assign(values.begin(), values.end()); }
  static InlineVector filled(int count, const T& value) {
    InlineVector v;
    v.resize(count, value);
    return v;
  }

  int size() const { return size_; }
  bool empty() const { return size_ == 0; }
  static constexpr int capacity() { return N; }
  T& operator[](int i) {
    TL_DCHECK(i >= 0 && i < size_, "index {} of {}", i, size_);
    return data_[static_cast<size_t>(i)];
  }
  const T& operator[](int i) const { return const_cast<InlineVector&>(*this)[i]; }
  T& back() { return (*this)[size_ - 1]; }
  const T& back() const { return (*this)[size_ - 1]; }
  T* begin() { return data_.data(); }
  T* end() { return data_.data() + size_; }
  const T* begin() const { return data_.data(); }
  const T* end() const { return data_.data() + size_; }
  const T* data() const { return data_.data(); }
  operator std::span<const T>() const { return {data_.data(), static_cast<size_t>(size_)}; }

  void push_back(T value) {
    TL_CHECK(size_ < N, "more than {} elements", N);
    data_[static_cast<size_t>(size_++)] = std::move(value);
  }
  void pop_back() { --size_; }
  void clear() {
    for (T& value : data_) value = T{};  // all N: the compiler sees a fixed bound
    size_ = 0;
  }
  void resize(int count, const T& value = T{}) {
    TL_CHECK(count >= 0 && count <= N, "{} elements of at most {}", count, N);
    for (int i = size_; i < count; ++i) data_[static_cast<size_t>(i)] = value;
    for (int i = count; i < size_; ++i) data_[static_cast<size_t>(i)] = T{};
    size_ = count;
  }
  void insert(int at, T value) {
    push_back(std::move(value));
    std::rotate(begin() + at, end() - 1, end());
  }
  void erase(int at) {
    std::rotate(begin() + at, begin() + at + 1, end());
    resize(size_ - 1);
  }
  bool operator==(const InlineVector& other) const {
    return std::equal(begin(), end(), other.begin(), other.end());
  }

 private:
  template <typename It>
  void assign(It first, It last) {
    for (; first != last; ++first) push_back(*first);
  }
  std::array<T, N> data_{};
  int size_ = 0;
};

}  // namespace tl
