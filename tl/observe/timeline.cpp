#include "tl/observe/timeline.h"

#include <nlohmann/json.hpp>
#include <thread>

#include "tl/observe/place.h"

namespace tl {
namespace {

constexpr int kHost = 1, kDevice = 2;  // process ids of the trace
constexpr u64 kMaxLanes = 64;

// A JSON string; names and source text may be any bytes.
std::string json(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string shapes_of(std::span<const Operand> operands) {
  std::string text;
  for (const Operand& o : operands) {
    if (!text.empty()) text += ", ";
    text += to_string(TensorType{o.dtype, o.dims});
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<Timeline>> Timeline::create(const std::string& path, const SourceFiles& files) {
  TL_TRY(AtomicFile file, AtomicFile::create(path));
  return std::unique_ptr<Timeline>(new Timeline(std::move(file), files));
}

Timeline::Timeline(AtomicFile file, const SourceFiles& files)
    : files_(files), start_ns_(now_ns()), file_(std::move(file)) {
  written_ = file_.write("{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n");
  for (const auto& [process, name] : {std::pair(kHost, "host"), std::pair(kDevice, "device")}) {
    event(fmt::format(R"({{"ph": "M", "name": "process_name", "pid": {}, "args": {{"name": "{}"}}}})",
                      process, name));
  }
}

void Timeline::event(std::string text) {
  if (!written_.ok() || is_finished_) return;
  if (!is_first_) text.insert(0, ",\n");
  is_first_ = false;
  written_ = file_.write(text);
}

void Timeline::name_track(int process, u64 track, const std::string& name) {
  event(fmt::format(R"({{"ph": "M", "name": "thread_name", "pid": {}, "tid": {}, "args": {{"name": {}}}}})",
                    process, track, json(name)));
}

u64 Timeline::host_track() {
  const u64 thread = std::hash<std::thread::id>()(std::this_thread::get_id());
  const auto [it, is_new] = host_tracks_.emplace(thread, host_tracks_.size() + 1);
  if (is_new)
    name_track(kHost, it->second,
               it->second == 1 ? "program" : fmt::format("task thread {}", it->second - 1));
  return it->second;
}

u64 Timeline::stream_track(StreamId stream, i64 begin_ns, i64 end_ns) {
  std::vector<i64>& lanes = lane_ends_[static_cast<u32>(stream)];
  u64 lane = 0;
  while (lane < lanes.size() && lanes[lane] > begin_ns && lane + 1 < kMaxLanes) ++lane;
  const u64 track = static_cast<u64>(stream) * kMaxLanes + lane;
  if (lane == lanes.size()) {
    lanes.push_back(0);
    const std::string number = lane == 0 ? "" : fmt::format(" ({})", lane + 1);
    name_track(kDevice, track, fmt::format("stream {}{}", static_cast<u32>(stream), number));
  }
  lanes[lane] = end_ns;
  return track;
}

void Timeline::ran(const Batch& batch, size_t index, StreamId stream, i64 begin_ns, i64 end_ns, i64 busy_ns) {
  const Command& c = batch.commands[index];
  if (c.is_skipped) return;
  std::string args = fmt::format(R"("in": {}, "out": {}, "line": {}, "source": {}, "busy_us": {:.3f})",
                                 json(shapes_of(batch.inputs_of(c))), json(shapes_of(batch.outputs_of(c))),
                                 json(place_of(files_, c.origin)), json(excerpt_of(files_, c.origin, 80)),
                                 static_cast<double>(busy_ns) * 1e-3);
  const std::lock_guard lock(mutex_);
  const u64 track = stream_track(stream, begin_ns, end_ns);
  event(fmt::format(
      R"({{"ph": "X", "name": {}, "pid": {}, "tid": {}, "ts": {:.3f}, "dur": {:.3f}, "args": {{{}}}}})",
      json(c.op->name), kDevice, track, micros(begin_ns), static_cast<double>(end_ns - begin_ns) * 1e-3,
      args));
}

void Timeline::was_in(HostPhase phase, i64 begin_ns, i64 end_ns) {
  const std::lock_guard lock(mutex_);
  begin_ns = std::max(begin_ns, start_ns_);
  if (end_ns <= begin_ns) return;
  const u64 track = host_track();
  event(fmt::format(R"({{"ph": "X", "name": "{}", "pid": {}, "tid": {}, "ts": {:.3f}, "dur": {:.3f}}})",
                    kHostPhaseNames[static_cast<size_t>(phase)], kHost, track, micros(begin_ns),
                    static_cast<double>(end_ns - begin_ns) * 1e-3));
}

void Timeline::traced_again(Span function, Span, std::string_view why) {
  const i64 now = now_ns();
  const std::lock_guard lock(mutex_);
  const u64 track = host_track();
  const std::string args =
      fmt::format(R"("line": {}, "why": {})", json(place_of(files_, function)), json(why));
  event(fmt::format(R"({{"ph": "i", "s": "t", "name": "traced again", "pid": {}, "tid": {}, "ts": {:.3f},)"
                    R"( "args": {{{}}}}})",
                    kHost, track, micros(now), args));
}

Result<void> Timeline::finish() {
  const std::lock_guard lock(mutex_);
  is_finished_ = true;
  if (written_.ok()) written_ = file_.write("\n]}\n");
  if (written_.ok()) written_ = file_.commit();
  return written_;
}

}  // namespace tl
