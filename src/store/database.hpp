#pragma once
// The engine's SQLite database: WAL, one connection behind a mutex, statements compiled once. Safe
// from any thread; a Transaction belongs to the thread that began it and must not be held across
// slow work.
//
//   auto tx = TRY(db.begin());
//   TRY(tx.run("INSERT INTO networks (id, name) VALUES (?, ?)", {id, name}));
//   for (const Row& row : TRY(tx.query("SELECT id FROM networks WHERE name = ?", {name})))
//       use(row.text(0));
//   TRY(tx.commit());

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace coffer::store {

// A parameter or a column: NULL, integer or text (bytes without interpretation).
class Value {
  public:
    Value() = default;
    // NOLINTBEGIN(google-explicit-constructor): so that {id, 5, nullptr} is a list of parameters
    Value(std::nullptr_t) {}
    Value(std::int64_t number) : data_(number) {}
    Value(std::uint64_t number) : data_(static_cast<std::int64_t>(number)) {}
    Value(int number) : data_(std::int64_t{number}) {}
    Value(unsigned number) : data_(std::int64_t{number}) {}
    Value(bool flag) : data_(std::int64_t{flag ? 1 : 0}) {}
    Value(std::string text) : data_(std::move(text)) {}
    Value(std::string_view text) : data_(std::string(text)) {}
    Value(const char* text) : data_(std::string(text)) {}
    // NOLINTEND(google-explicit-constructor)

    bool is_null() const { return data_.index() == 0; }
    bool is_text() const { return data_.index() == 2; }
    // 0 and "" where the column is NULL or of another type.
    std::int64_t integer() const;
    const std::string& text() const;

  private:
    std::variant<std::monostate, std::int64_t, std::string> data_;
};

class Row {
  public:
    explicit Row(std::vector<Value> columns) : columns_(std::move(columns)) {}
    bool is_null(std::size_t column) const { return columns_.at(column).is_null(); }
    std::int64_t integer(std::size_t column) const { return columns_.at(column).integer(); }
    bool boolean(std::size_t column) const { return integer(column) != 0; }
    const std::string& text(std::size_t column) const { return columns_.at(column).text(); }

  private:
    std::vector<Value> columns_;
};

// The first column of each row.
std::vector<std::string> first_column(const std::vector<Row>& rows);

using Parameters = std::initializer_list<Value>;

// When a commit reaches the disk. Either way it is whole, in order, and survives our own death.
enum class Durability : std::uint8_t {
    AtOnce,  // before it returns: it survives a power failure
    Later,   // with the next one that is AtOnce: for what a start after a power failure sweeps
             // anyway
};

class Database;

// BEGIN IMMEDIATE ... COMMIT; rolled back unless committed. Holds the connection's lock.
class Transaction {
  public:
    ~Transaction();
    Transaction(Transaction&& other) noexcept;
    Transaction& operator=(Transaction&&) = delete;
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    // A statement without rows; gives the number of rows it changed. A broken UNIQUE or PRIMARY
    // KEY is Code::Conflict.
    Result<std::int64_t> run(std::string_view sql, Parameters parameters = {});
    Result<std::vector<Row>> query(std::string_view sql, Parameters parameters = {});
    Result<std::optional<Row>> first(std::string_view sql, Parameters parameters = {});
    Result<void> commit();

  private:
    friend class Database;
    explicit Transaction(Database& database, std::unique_lock<std::mutex> lock);
    Database* database_;
    std::unique_lock<std::mutex> lock_;
};

class Database {
  public:
    // Creates it where absent. A file that is no database, or a damaged one, is an error that
    // names it.
    static Result<std::unique_ptr<Database>> open(const std::string& path);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    Database(Database&&) = delete;
    Database& operator=(Database&&) = delete;

    // Brings the tables of `area` (a folder's name) up to date: steps[n] leads from version n to
    // n + 1 and may hold several statements. Steps are only ever appended. A database from a newer
    // version of the program is refused.
    Result<void> migrate(std::string_view area, std::span<const std::string_view> steps);

    Result<Transaction> begin(Durability durability = Durability::AtOnce);
    // One statement as its own transaction.
    Result<std::int64_t> run(std::string_view sql, Parameters parameters = {},
                             Durability durability = Durability::AtOnce);
    Result<std::vector<Row>> query(std::string_view sql, Parameters parameters = {});
    Result<std::optional<Row>> first(std::string_view sql, Parameters parameters = {});

  private:
    friend class Transaction;
    struct Impl;
    explicit Database(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::store
