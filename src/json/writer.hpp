#pragma once
// Appends JSON to a string the way encoding/json of Go prints it. One writer belongs to one thread.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "json/value.hpp"

namespace coffer::json {

class Writer {
  public:
    Writer(std::string& out, const WriteOptions& options) : out_(out), options_(options) {}

    void null() { raw("null"); }
    void boolean(bool value) { raw(value ? "true" : "false"); }
    void integer(std::int64_t value);
    void integer(std::uint64_t value);
    void number(double value);  // NaN and infinity, which JSON lacks, become null
    void string(std::string_view text);
    void value(const Value& value);

    void begin_array() { begin('['); }
    void element() { separate(); }  // before each element
    void end_array() { end(']'); }
    void begin_object() { begin('{'); }
    void key(std::string_view name);  // before each member's value
    void end_object() { end('}'); }

  private:
    void raw(std::string_view text) { out_.append(text); }
    void begin(char bracket);
    void end(char bracket);
    void separate();
    void line();

    std::string& out_;
    WriteOptions options_;
    std::size_t depth_ = 0;
    bool first_ = true;  // nothing written yet since the last bracket was opened
};

}  // namespace coffer::json
