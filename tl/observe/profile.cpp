#include "tl/observe/profile.h"

#include <algorithm>

#include "tl/base/hash.h"
#include "tl/observe/place.h"

namespace tl {
namespace {

constexpr size_t kMaxCluster = 256;  // of streams that always overlap
constexpr size_t kShownLines = 25;

double percent(double part, double whole) {
  return whole > 0 ? 100 * part / whole : 0;
}

// "12.3 (45%)": a rate and what it is of the peak; blank for what does not compute or move.
std::string rate_text(double amount, double ns, double peak_per_second) {
  if (amount <= 0 || ns <= 0) return "";
  const double per_ns = amount / ns;  // GB/s, GFLOP/s
  if (peak_per_second <= 0) return fmt::format("{:.1f}", per_ns);
  return fmt::format("{:.1f} ({:.0f}%)", per_ns, percent(per_ns * 1e9, peak_per_second));
}

std::string table_text(const std::map<std::string, Profile::Line>& rows, const char* what, double busy_ns,
                       const Peaks& peaks) {
  std::vector<std::pair<std::string, Profile::Line>> sorted(rows.begin(), rows.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second.ns > b.second.ns; });
  size_t width = std::string_view(what).size();
  const size_t shown = std::min(sorted.size(), kShownLines);
  for (size_t i = 0; i < shown; ++i) width = std::max(width, sorted[i].first.size());
  std::string text = fmt::format("{:<{}} {:>9} {:>10} {:>6} {:>9} {:>14} {:>14}\n", what, width, "calls",
                                 "ms", "%", "bytes", "GB/s", "GFLOP/s");
  Profile::Line rest;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const auto& [name, line] = sorted[i];
    if (i >= shown) {
      rest.add(line);
      continue;
    }
    text += fmt::format("{:<{}} {:>9} {:>10.3f} {:>6.1f} {:>9} {:>14} {:>14}\n", name, width, line.calls,
                        line.ns * 1e-6, percent(line.ns, busy_ns), size_text(line.bytes),
                        rate_text(line.bytes, line.ns, peaks.bytes_per_second),
                        rate_text(line.flops, line.ns, peaks.flops_per_second));
  }
  if (rest.calls > 0) {
    text +=
        fmt::format("{:<{}} {:>9} {:>10.3f} {:>6.1f} {:>9}\n", fmt::format("{} more", sorted.size() - shown),
                    width, rest.calls, rest.ns * 1e-6, percent(rest.ns, busy_ns), size_text(rest.bytes));
  }
  return text;
}

}  // namespace

Cost cost_of(const Batch& batch, const Command& command) {
  KernelCall call;
  call.in = batch.inputs_of(command);
  call.outs = batch.outputs_of(command);
  call.out = call.outs[0];
  call.attrs = &batch.attrs[command.attrs];
  call.kept_bytes = command.kept_bytes;
  if (command.op->cost != nullptr) return command.op->cost(call);
  const double flops = command.op->kind == OpKind::Elementwise ? static_cast<double>(call.out.numel()) : 0;
  return {flops, traffic(call)};
}

void Profile::Line::add(const Line& other) {
  calls += other.calls;
  ns += other.ns;
  flops += other.flops;
  bytes += other.bytes;
}

size_t Profile::Hash::operator()(const Key& key) const {
  const u64 words[] = {reinterpret_cast<u64>(key.op), static_cast<u64>(key.origin.file),
                       u64{key.origin.begin} << 32 | key.origin.end};
  return hash_bytes(words, sizeof words);
}

Profile::Profile(const Device& device, const SourceFiles& files)
    : files_(files),
      peaks_(device.measure_peaks()),
      threads_(std::max(device.info().threads, 1)),
      start_ns_(now_ns()) {}

void Profile::ran(const Batch& batch, size_t index, StreamId, i64 begin_ns, i64 end_ns, i64 busy_ns) {
  const Command& c = batch.commands[index];
  if (c.is_skipped) return;
  const Cost cost = cost_of(batch, c);
  const std::lock_guard lock(mutex_);
  Line& line = table_[{c.op, c.origin}];
  ++line.calls;
  line.flops += cost.flops;
  line.bytes += static_cast<double>(cost.bytes);
  if (begin_ns >= cluster_end_ || cluster_.size() >= kMaxCluster) close_cluster();
  if (cluster_.empty()) {
    cluster_begin_ = std::max(begin_ns, cluster_end_);
    cluster_end_ = std::max(end_ns, cluster_end_);
  }
  cluster_end_ = std::max(cluster_end_, end_ns);
  cluster_.push_back({&line, static_cast<double>(std::max<i64>(busy_ns, 1))});
}

void Profile::close_cluster() {
  double work = 0;
  for (const Pending& p : cluster_) work += p.busy_ns;
  const double time = static_cast<double>(cluster_end_ - cluster_begin_);
  for (const Pending& p : cluster_) p.line->ns += time * p.busy_ns / work;
  if (!cluster_.empty()) busy_ns_ += time;
  cluster_.clear();
}

void Profile::was_in(HostPhase phase, i64 begin_ns, i64 end_ns) {
  const std::lock_guard lock(mutex_);
  host_ns_[static_cast<size_t>(phase)] += static_cast<double>(end_ns - begin_ns);
}

Profile::Totals Profile::totals() {
  const std::lock_guard lock(mutex_);
  close_cluster();
  Totals totals;
  totals.wall_ns = static_cast<double>(now_ns() - start_ns_);
  totals.busy_ns = busy_ns_;
  std::copy(std::begin(host_ns_), std::end(host_ns_), totals.host_ns);
  for (const auto& [key, line] : table_) {
    totals.ops[std::string(key.op->name)].add(line);
    totals.lines[fmt::format("{}  {}", line_of(files_, key.origin), key.op->name)].add(line);
  }
  return totals;
}

std::string Profile::text() {
  const Totals t = totals();
  std::string text = fmt::format("profile: {:.3f} ms, of which the device was busy {:.3f} ms ({:.1f}%)\n",
                                 t.wall_ns * 1e-6, t.busy_ns * 1e-6, percent(t.busy_ns, t.wall_ns));
  text += "host:";
  for (size_t i = 0; i < std::size(kHostPhaseNames); ++i)
    text += fmt::format("{} {} {:.3f} ms", i == 0 ? "" : ",", kHostPhaseNames[i], t.host_ns[i] * 1e-6);
  text += '\n';
  if (peaks_.bytes_per_second > 0) {
    text += fmt::format("peaks, just measured on {} thread{}: {:.1f} GB/s read, {:.1f} GFLOP/s in float32\n",
                        threads_, threads_ == 1 ? "" : "s", peaks_.bytes_per_second * 1e-9,
                        peaks_.flops_per_second * 1e-9);
  }
  text += '\n' + table_text(t.ops, "op", t.busy_ns, peaks_);
  text += '\n' + table_text(t.lines, "line", t.busy_ns, peaks_);
  return text;
}

}  // namespace tl
