// Data from outside and back: JSON, tables of text, files and folders, dates.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tl/base/fail_point.h"
#include "tl/base/read_file.h"
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/index.h"
#include "tl/io/atomic_file.h"

namespace tl::lang {
namespace {

using nlohmann::ordered_json;

const std::string& text(const Value& v) {
  return v.as<String>().text;
}

// ---- JSON -------------------------------------------------------------------------------------------------

// Builds values while the parser reads, without a tree of its own in between; depth is bounded by the
// parser's callbacks, which stop it.
class JsonReader : public nlohmann::json_sax<ordered_json> {
 public:
  bool null() override { return put(Value::unit()); }
  bool boolean(bool v) override { return put(Value(v)); }
  bool number_integer(number_integer_t v) override { return put(Value(static_cast<i64>(v))); }
  bool number_unsigned(number_unsigned_t v) override {
    return put(v <= static_cast<u64>(INT64_MAX) ? Value(static_cast<i64>(v)) : Value(static_cast<f64>(v)));
  }
  bool number_float(number_float_t v, const string_t&) override { return put(Value(v)); }
  bool string(string_t& v) override { return put(make_string(std::move(v))); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Value(new Map)); }
  bool key(string_t& v) override {
    keys_.back() = make_string(std::move(v));
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(make_list({})); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t at, const std::string& near, const nlohmann::detail::exception&) override {
    if (!error_)
      error_ = fail(Code::BadProgram, "from_json: byte {} is no JSON{}", at,
                    near.empty() ? "" : fmt::format(", near '{}'", near.substr(0, 40)));
    return false;
  }
  Result<Value> take() {
    if (error_) return *error_;
    return std::move(whole_);
  }

 private:
  bool put(Value v) {
    if (open_.empty()) {
      whole_ = std::move(v);
      return true;
    }
    if (auto* list = open_.back().get_if<List>()) {
      list->items.push_back(std::move(v));
      return true;
    }
    auto& map = open_.back().as<Map>();
    map.value(map.add(keys_.back(), keys_.back().as<String>().hash())) = std::move(v);
    return true;
  }
  bool open(Value v) {
    if (open_.size() >= static_cast<size_t>(kMaxNesting)) {
      error_ = fail(Code::BadProgram, "from_json: the text is nested more than {} deep", kMaxNesting);
      return false;
    }
    if (!put(v)) return false;
    open_.push_back(std::move(v));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    open_.pop_back();
    keys_.pop_back();
    return true;
  }

  Value whole_;
  std::vector<Value> open_, keys_;
  std::optional<Error> error_;
};

Result<Value> native_from_json(CallContext&, std::span<Value> args) {
  JsonReader reader;
  ordered_json::sax_parse(text(args[0]), &reader);
  return reader.take();
}

// ---- Tables -----------------------------------------------------------------------------------------------

struct Cell {
  std::string text;
  bool is_quoted = false;
};

// Rows of cells; a quoted cell may hold separators, ends of lines and, doubled, quotes (RFC 4180).
Result<std::vector<std::vector<Cell>>> rows_of(std::string_view in, char separator) {
  std::vector<std::vector<Cell>> rows;
  size_t at = 0, line = 1;
  if (in.starts_with("\xef\xbb\xbf")) at = 3;
  while (at < in.size()) {
    std::vector<Cell>& row = rows.emplace_back();
    for (bool more = true; more;) {
      Cell& cell = row.emplace_back();
      if (at < in.size() && in[at] == '"') {
        const size_t first_line = line;
        cell.is_quoted = true;
        for (++at;; ++at) {
          if (at >= in.size())
            return fail(Code::BadProgram, "read_csv: the quotes that open on line {} do not close",
                        first_line);
          if (in[at] == '"' && (at + 1 >= in.size() || in[at + 1] != '"')) break;
          if (in[at] == '"') ++at;
          if (in[at] == '\n') ++line;
          cell.text += in[at];
        }
        ++at;
        if (at < in.size() && in[at] != separator && in[at] != '\n' && in[at] != '\r')
          return fail(Code::BadProgram, "read_csv: text follows a closing quote on line {}", line);
      } else {
        const size_t end = std::min(in.find_first_of(std::string{separator, '\n', '\r'}, at), in.size());
        cell.text = in.substr(at, end - at);
        at = end;
      }
      more = at < in.size() && in[at] == separator;
      if (more) ++at;
    }
    if (at < in.size() && in[at] == '\r') ++at;
    if (at < in.size() && in[at] == '\n') ++at;
    ++line;
  }
  return rows;
}

// Unquoted numbers become numbers.
Value value_of(const Cell& cell) {
  if (!cell.is_quoted && !cell.text.empty() &&
      cell.text.find_first_not_of("0123456789+-.eE") == std::string::npos) {
    const char *begin = cell.text.c_str(), *const end = begin + cell.text.size();
    char* stop = nullptr;
    errno = 0;
    const i64 i = std::strtoll(begin, &stop, 10);
    if (stop == end && errno == 0) return Value(i);
    const f64 f = std::strtod(begin, &stop);
    if (stop == end) return Value(f);
  }
  return make_string(cell.text);
}

Result<char> separator_of(const Value& v) {
  if (text(v).size() == 1 && text(v) != "\"") return text(v)[0];
  return fail(Code::BadProgram, "argument 'separator' is \"{}\", want one character", text(v));
}

Result<Value> native_read_csv(CallContext&, std::span<Value> args) {
  TL_TRY(const char separator, separator_of(args[2]));
  TL_TRY(const std::string in, read_whole_file(text(args[0])));
  TL_TRY(const auto rows, rows_of(in, separator));
  const bool has_header = args[1].as_bool();
  std::vector<Value> out;
  for (size_t i = has_header ? 1 : 0; i < rows.size(); ++i) {
    std::vector<Value> cells;
    for (const Cell& cell : rows[i]) cells.push_back(value_of(cell));
    if (!has_header) {
      out.push_back(make_list(std::move(cells)));
      continue;
    }
    if (rows[i].size() == 1 && rows[i][0].text.empty() && rows[0].size() > 1) continue;  // an empty line
    if (rows[i].size() != rows[0].size()) {
      return fail(Code::BadProgram, "read_csv: row {} of {} has {} cells, the header {}", i + 1,
                  text(args[0]), rows[i].size(), rows[0].size());
    }
    auto* const row = new Map;
    out.emplace_back(row);
    for (size_t k = 0; k < cells.size(); ++k) {
      const Value name = make_string(rows[0][k].text);
      row->value(row->add(name, name.as<String>().hash())) = std::move(cells[k]);
    }
  }
  return make_list(std::move(out));
}

Result<void> add_cell(CallContext& ctx, const Value& value, char separator, std::string& out) {
  TL_TRY(const std::string cell,
         value.is_unit() ? Result<std::string>(std::string()) : text_of(ctx.reader(), value));
  // Quoted also where it would be read as a number.
  const bool looks_like_number =
      value.is(ObjectKind::String) && !value_of({cell, false}).is(ObjectKind::String);
  if (!looks_like_number &&
      cell.find_first_of(std::string{separator, '"', '\n', '\r'}) == std::string::npos) {
    out += cell;
    return {};
  }
  out += '"';
  for (const char c : cell) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
  return {};
}

Result<void> add_row(CallContext& ctx, std::span<const Value> cells, char separator, std::string& out) {
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) out += separator;
    TL_TRY_DO(add_cell(ctx, cells[i], separator, out));
  }
  out += '\n';
  return {};
}

// Rows are lists, or maps, whose keys then are the header unless one is given.
Result<Value> native_write_csv(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const char separator, separator_of(args[3]));
  TL_TRY(const std::vector<Value> rows, to_items(ctx, args[1]));
  std::vector<Value> header;
  if (!args[2].is_empty()) {
    TL_TRY(header, to_items(ctx, args[2]));
  } else if (!rows.empty() && rows[0].is(ObjectKind::Map)) {
    header = keys_of(rows[0].as<Map>());
  }
  std::string out;
  if (!header.empty()) TL_TRY_DO(add_row(ctx, header, separator, out));
  for (const Value& row : rows) {
    std::vector<Value> cells;
    if (const auto* map = row.get_if<Map>()) {
      for (const Value& name : header) {
        TL_TRY(Value cell, map_at(ctx, *map, name));
        cells.push_back(std::move(cell));
      }
    } else {
      TL_TRY(cells, to_items(ctx, row));
    }
    TL_TRY_DO(add_row(ctx, cells, separator, out));
  }
  TL_TRY(AtomicFile file, AtomicFile::create(text(args[0])));
  TL_TRY_DO(file.write(out));
  TL_TRY_DO(file.commit());
  return Value::unit();
}

// ---- Files ------------------------------------------------------------------------------------------------

Result<Value> native_append_file(CallContext&, std::span<Value> args) {
  const std::string &path = text(args[0]), &more = text(args[1]);
  std::FILE* const file = must_fail(FailPoint::Write) ? nullptr : std::fopen(path.c_str(), "ab");
  if (file == nullptr) return fail(Code::Io, "cannot open {}: {}", path, std::strerror(errno));
  const bool is_written = std::fwrite(more.data(), 1, more.size(), file) == more.size();
  const int reason = errno;
  const bool is_closed = std::fclose(file) == 0;
  if (!is_written || !is_closed)
    return fail(Code::Io, "cannot write {}: {}", path, std::strerror(is_written ? errno : reason));
  return Value::unit();
}

Result<Value> native_file_exists(CallContext&, std::span<Value> args) {
  struct stat found {};
  return Value(stat(text(args[0]).c_str(), &found) == 0);
}

Result<Value> native_list_dir(CallContext&, std::span<Value> args) {
  std::error_code error;
  std::vector<std::string> names;
  for (auto at = std::filesystem::directory_iterator(text(args[0]), error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error))
    names.push_back(at->path().filename().string());
  if (error) return fail(Code::Io, "cannot list {}: {}", text(args[0]), error.message());
  std::sort(names.begin(), names.end());
  std::vector<Value> out;
  for (std::string& name : names) out.push_back(make_string(std::move(name)));
  return make_list(std::move(out));
}

// ---- Dates ------------------------------------------------------------------------------------------------

Result<std::string> date_text(f64 seconds, const std::string& format, bool is_utc) {
  if (!(std::abs(seconds) < 1e12))
    return fail(Code::BadProgram, "{} seconds since 1970 are no date", seconds);
  const auto when = static_cast<time_t>(std::floor(seconds));
  tm parts{};
  if ((is_utc ? gmtime_r(&when, &parts) : localtime_r(&when, &parts)) == nullptr)
    return fail(Code::BadProgram, "{} seconds since 1970 are no date", seconds);
  std::string out(256 + 16 * format.size(), '\0');
  out.resize(std::strftime(out.data(), out.size(), format.c_str(), &parts));
  return out;
}

Result<Value> native_now(CallContext&, std::span<Value> args) {
  const f64 now = std::chrono::duration<f64>(std::chrono::system_clock::now().time_since_epoch()).count();
  TL_TRY(std::string out, date_text(now, text(args[0]), args[1].as_bool()));
  return make_string(std::move(out));
}
Result<Value> native_format_time(CallContext&, std::span<Value> args) {
  TL_TRY(std::string out, date_text(args[0].as_float(), text(args[1]), args[2].as_bool()));
  return make_string(std::move(out));
}
Result<Value> native_parse_time(CallContext&, std::span<Value> args) {
  tm parts{};
  const char* const end = strptime(text(args[0]).c_str(), text(args[1]).c_str(), &parts);
  if (end == nullptr || *end != '\0')
    return fail(Code::BadProgram, "\"{}\" is no time of the form \"{}\"", text(args[0]), text(args[1]));
  parts.tm_isdst = -1;
  return Value(static_cast<f64>(args[2].as_bool() ? timegm(&parts) : mktime(&parts)));
}

const Builtin kRows[] = {
    {"append_file", "(path: string, text: string) -> unit",
     "Writes the text at the end of a file, which is made if it is not there.",
     "append_file(\"/dev/null\", \"a line\")", Effect::Io, native_append_file},
    {"file_exists", "(path: string) -> bool", "True if there is a file or folder of that name.",
     "file_exists(\"/no/such/file\")  //~ false", Effect::Io, native_file_exists},
    {"format_time", "(seconds: float, format: string = \"%Y-%m-%d %H:%M:%S\", utc: bool = true) -> string",
     "The time so many seconds after the beginning of 1970, by the marks of strftime.",
     "format_time(86400.0, \"%Y-%m-%d\")  //~ 1970-01-02", Effect::Io, native_format_time},
    {"from_json", "(text: string) -> any",
     "What a text of JSON says: objects as maps, arrays as lists, null as none.",
     "from_json(\"[1, 2.5, null]\")  //~ [1, 2.5, none]", Effect::Pure, native_from_json},
    {"list_dir", "(path: string = \".\") -> list", "The names in a folder, sorted.",
     "len(list_dir(\"/\")) > 0  //~ true", Effect::Io, native_list_dir},
    {"now", "(format: string = \"%Y-%m-%d %H:%M:%S\", utc: bool = false) -> string",
     "Date and time now, by the marks of strftime; time_now gives seconds.", "len(now())  //~ 19", Effect::Io,
     native_now},
    {"parse_time", "(text: string, format: string = \"%Y-%m-%d %H:%M:%S\", utc: bool = true) -> float",
     "Seconds after the beginning of 1970 of a time that is written so.",
     "parse_time(\"1970-01-02\", \"%Y-%m-%d\")  //~ 86400", Effect::Io, native_parse_time},
    {"read_csv", "(path: string, header: bool = true, separator: string = \",\") -> list",
     "The rows of a table of text: maps by the names in its first row, or lists where it has no header. "
     "Numbers that are not quoted become numbers.",
     "read_csv(\"/dev/null\")  //~ []", Effect::Io, native_read_csv},
    {"write_csv", "(path: string, rows: any, header: any = none, separator: string = \",\") -> unit",
     "Writes rows as a table of text; rows that are maps get their keys as header.",
     "write_csv(\"/dev/null\", [[1, 2]])", Effect::Io, native_write_csv},
};

}  // namespace

std::span<const Builtin> data_natives() {
  return kRows;
}

}  // namespace tl::lang
