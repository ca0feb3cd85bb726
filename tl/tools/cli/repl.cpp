// tl repl: the prompt of a terminal, the same on a pipe, and one JSON object a line for programs.
#include <editline/readline.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tl/api/prompt_session.h"
#include "tl/builtins/reference.h"
#include "tl/tools/cli/commands.h"

namespace tl::cli {
namespace {
using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kHelp =
    "What is typed runs at once; the value of an expression is shown, and stays as _.\n"
    "Input goes on while a bracket, a brace or a string is open.\n"
    "  :type EXPR  the type of a value         :doc NAME  what a builtin means; alone: all of them\n"
    "  :time CODE  runs it, and says how long  :help      this text\n"
    "  :quit       ends the session, as Ctrl-D does; Ctrl-C stops what is running\n";
constexpr const char* kCommands[] = {":doc", ":help", ":quit", ":time", ":type"};

// ---- Ctrl-C -----------------------------------------------------------------------------------------------

PromptSession* g_session = nullptr;  // whose input Ctrl-C stops
volatile sig_atomic_t g_presses = 0;

extern "C" void on_ctrl_c(int) {
  g_presses = g_presses + 1;
  if (g_session != nullptr) g_session->cancel();
}

void catch_ctrl_c() {
  struct sigaction action {};
  action.sa_handler = on_ctrl_c;  // without SA_RESTART: a read that waits for input returns
  sigaction(SIGINT, &action, nullptr);
}

// ---- Commands and code ------------------------------------------------------------------------------------

struct Reply {
  bool is_ok = true;
  bool quits = false;
  std::string text;  // a value, or what a command says
  PromptAnswer answer;
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) + 1 - first);
}

Reply run_code(PromptSession& session, std::string_view code, bool colour) {
  Reply reply;
  reply.answer = session.run(std::string(code), colour);
  reply.is_ok = reply.answer.is_ok;
  reply.quits = reply.answer.exits.has_value();
  reply.text = reply.answer.value;
  return reply;
}

Reply refuse(std::string message) {
  Reply reply{.is_ok = false};
  reply.answer.messages = std::move(message);
  return reply;
}

Reply describe(std::string_view name) {
  if (name.empty()) return {.text = lang::list_of_families()};
  if (const lang::Builtin* b = lang::find_builtin(name)) return {.text = lang::description(*b)};
  if (const lang::BuiltinFamily* family = lang::find_family(name))
    return {.text = lang::description(*family)};
  std::string message = fmt::format("error: there is no builtin '{}'\n", name);
  const std::vector<std::string_view> similar = lang::similar_names(name);
  if (!similar.empty()) message += fmt::format("  = note: did you mean {}?\n", fmt::join(similar, ", "));
  return refuse(std::move(message));
}

std::string duration(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} µs", seconds * 1e6);
  return seconds < 1 ? fmt::format("{:.2f} ms", seconds * 1e3) : fmt::format("{:.2f} s", seconds);
}

bool is_command(std::string_view input) {
  return input.starts_with(":") && !input.starts_with("::");
}

Reply reply_to(PromptSession& session, std::string_view input, bool colour) {
  input = trimmed(input);
  if (input.empty()) return {};
  if (!is_command(input)) return run_code(session, input, colour);
  const size_t end = std::min(input.find_first_of(" \t\n"), input.size());
  const std::string_view command = input.substr(0, end), rest = trimmed(input.substr(end));
  if (command == ":help" && rest.empty()) return {.text = kHelp};
  if (command == ":quit" && rest.empty()) return {.quits = true};
  if (command == ":doc") return describe(rest);
  if ((command == ":type" || command == ":time") && !rest.empty()) {
    Reply reply = run_code(session, rest, colour);
    if (!reply.is_ok) return reply;
    if (command == ":type") {
      reply.text = reply.answer.type.empty() ? "none" : reply.answer.type;
    } else {
      if (!reply.text.empty()) reply.text += "\n";
      reply.text += duration(reply.answer.seconds);
    }
    return reply;
  }
  return refuse(fmt::format("error: '{}' is no command (:help lists them)\n", input));
}

// ---- Lines ------------------------------------------------------------------------------------------------

enum class Read : u8 { Line, Dropped, End };

Read read_pipe(std::string& line) {
  line.clear();
  const sig_atomic_t before = g_presses;
  for (int c; (c = std::getc(stdin)) != EOF;) {
    if (c == '\n') return Read::Line;
    line += static_cast<char>(c);
  }
  if (g_presses != before) {
    std::clearerr(stdin);
    return Read::Dropped;
  }
  return line.empty() ? Read::End : Read::Line;
}

Read read_terminal(const char* prompt, std::string& line) {
  const sig_atomic_t before = g_presses;
  char* text = readline(prompt);
  if (text == nullptr || g_presses != before) {
    std::fputc('\n', stdout);
    const bool dropped = g_presses != before;
    std::free(text);
    return dropped ? Read::Dropped : Read::End;
  }
  line = text;
  std::free(text);
  return Read::Line;
}

std::optional<std::string> ask_terminal(const std::string& prompt) {
  std::string line;
  if (read_terminal(prompt.c_str(), line) == Read::Line) return line;
  return std::nullopt;
}

// Called again and again for one word, with 0 first; the caller frees what it gets.
char* complete_word(const char* word, int state) {
  static std::vector<std::string> found;
  static size_t next;
  if (state == 0) {
    found.clear();
    next = 0;
    const std::string_view begun(word);
    std::vector<std::string> all = g_session->names();
    all.insert(all.end(), std::begin(kCommands), std::end(kCommands));
    for (std::string& name : all) {
      if (name.starts_with(begun)) found.push_back(std::move(name));
    }
  }
  return next < found.size() ? strdup(found[next++].c_str()) : nullptr;
}
char** complete(const char* word, int, int) {
  rl_attempted_completion_over = 1;  // no names of files
  return rl_completion_matches(word, complete_word);
}

std::string history_path() {
  const auto from = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  if (const std::string path = from("TL_HISTORY"); !path.empty()) return path;
  std::string folder = from("XDG_STATE_HOME");
  if (folder.empty() && !from("HOME").empty()) folder = from("HOME") + "/.local/state";
  return folder.empty() ? "" : folder + "/tl/repl_history";
}

class History {
 public:
  History() : path_(history_path()) {
    using_history();
    stifle_history(10000);
    if (!path_.empty()) read_history(path_.c_str());
  }
  ~History() {
    if (path_.empty()) return;
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), error);
    write_history(path_.c_str());
  }
  void add(const std::string& input) {
    for (size_t at = 0; at < input.size();) {  // the file has a line for each
      const size_t end = std::min(input.find('\n', at), input.size());
      if (end > at) add_history(input.substr(at, end - at).c_str());
      at = end + 1;
    }
  }

 private:
  std::string path_;
};

int run_lines(PromptSession& session, bool terminal) {
  std::optional<History> history;
  if (terminal) {
    history.emplace();
    rl_readline_name = "tl";
    rl_attempted_completion_function = complete;
    rl_basic_word_break_characters = " \t\n\"'`()[]{},;.=+-*/%@<>|!^~?";
    fmt::print("tl {}; :help says what there is\n", TL_VERSION);
  }
  bool has_failed = false;
  std::string input, line;
  while (true) {
    const Read read = terminal ? read_terminal(input.empty() ? "tl> " : "..> ", line) : read_pipe(line);
    if (read == Read::Dropped) {
      input.clear();
      continue;
    }
    if (read == Read::Line) {
      input += (input.empty() ? "" : "\n") + line;
      if (!is_command(trimmed(input)) && PromptSession::is_unfinished(input)) continue;
    }
    if (history) history->add(input);
    const Reply reply = reply_to(session, std::exchange(input, {}), wants_colour());
    if (!reply.text.empty()) fmt::print("{}{}", reply.text, reply.text.ends_with("\n") ? "" : "\n");
    std::fflush(stdout);
    std::fputs(reply.answer.messages.c_str(), stderr);
    has_failed = has_failed || !reply.is_ok;
    if (reply.answer.exits) return *reply.answer.exits;
    if (reply.quits || read == Read::End) break;
  }
  return terminal || !has_failed ? kOk : kProgramFailed;
}

// ---- JSON -------------------------------------------------------------------------------------------------

ordered_json run_json(PromptSession& session, const std::string& code, lang::StringOutput& out,
                      lang::StringOutput& err, std::optional<int>& exits) {
  const Reply reply = reply_to(session, code, false);
  if (reply.quits) exits = reply.answer.exits.value_or(kOk);
  ordered_json row{{"ok", reply.is_ok}};
  row["value"] = reply.text.empty() ? ordered_json() : ordered_json(reply.text);
  row["type"] = reply.answer.type.empty() ? ordered_json() : ordered_json(reply.answer.type);
  row["output"] = out.take();
  row["errors"] = err.take();
  row["message"] = reply.answer.messages;
  row["interrupted"] = reply.answer.was_interrupted;
  row["seconds"] = reply.answer.seconds;
  return row;
}

ordered_json answer_json(PromptSession& session, const json& request, lang::StringOutput& out,
                         lang::StringOutput& err, std::optional<int>& exits) {
  const auto text = [&request](const char* key) -> const std::string* {
    const auto it = request.find(key);
    return it == request.end() ? nullptr : it->get_ptr<const std::string*>();
  };
  if (!request.is_object()) return {{"ok", false}, {"message", "error: want one JSON object a line\n"}};
  ordered_json row;
  if (const std::string* code = text("code")) {
    row = run_json(session, *code, out, err, exits);
  } else if (const std::string* begun = text("complete")) {
    row = {{"ok", true}, {"names", ordered_json::array()}};
    for (const std::string& name : session.names()) {
      if (name.starts_with(*begun)) row["names"].push_back(name);
    }
  } else if (const std::string* code = text("check")) {
    row = {{"ok", true}, {"unfinished", PromptSession::is_unfinished(*code)}};
  } else if (const std::string* name = text("doc")) {
    const Reply reply = describe(*name);
    row = {{"ok", reply.is_ok}, {"value", reply.text}, {"message", reply.answer.messages}};
  } else {
    row = {{"ok", false},
           {"message", "error: want a text as \"code\", \"complete\", \"check\" or \"doc\"\n"}};
  }
  if (request.contains("id")) row["id"] = request["id"];
  return row;
}

int run_json_lines(PromptSession& session, lang::StringOutput& out, lang::StringOutput& err) {
  std::string line;
  std::optional<int> exits;
  while (!exits) {
    const Read read = read_pipe(line);
    if (read == Read::End) return kOk;
    if (read == Read::Dropped || trimmed(line).empty()) continue;
    const json request = json::parse(line, nullptr, false);
    const ordered_json row = answer_json(session, request, out, err, exits);
    fmt::print("{}\n", row.dump(-1, ' ', false, json::error_handler_t::replace));
    std::fflush(stdout);
  }
  return *exits;
}

}  // namespace

int repl(const SessionOptions& options, bool as_json) {
  const bool terminal = !as_json && isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
  lang::StringOutput text, errors;
  lang::FileOutput out(stdout), err(stderr);
  auto session =
      PromptSession::create(options.device, options.exec, as_json ? static_cast<lang::Output&>(text) : out,
                            as_json ? static_cast<lang::Output&>(errors) : err,
                            terminal ? PromptSession::Ask(ask_terminal) : PromptSession::Ask());
  if (!session.ok()) return report(session.error());
  g_session = session.value().get();
  catch_ctrl_c();
  const int code = as_json ? run_json_lines(*g_session, text, errors) : run_lines(*g_session, terminal);
  signal(SIGINT, SIG_DFL);
  g_session = nullptr;
  return code;
}

}  // namespace tl::cli
