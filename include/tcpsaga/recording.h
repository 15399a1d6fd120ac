// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * Inputs in a file (docs/recording.md): blocks that are compressed and checked each by itself, so
 * that what is whole can be read whatever happened to the rest.
 */
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tcpsaga/input.h"
#include "tcpsaga/result.h"

namespace tcpsaga {

/// Writes a recording. After an error nothing more is written; the file ends with the last whole
/// block then.
class RecordingWriter {
public:
    /// Creates `path` with mode 0600. An existing file is an error, unless `replace`: then it
    /// loses its content at begin().
    static Result<std::unique_ptr<RecordingWriter>> create(const std::string& path, bool replace);
    /// Writes what is waiting. A file that was created but never begun goes away.
    ~RecordingWriter();
    RecordingWriter(const RecordingWriter&) = delete;
    RecordingWriter& operator=(const RecordingWriter&) = delete;

    /// Once, before the first input.
    void begin(const Origin& origin);
    void write(const input::Record& r);
    void write(const Input& i);
    /// Writes what is waiting; now and then, so that little is lost when this process is.
    void flush();
    /// Writes what is waiting and that nothing follows.
    void end();

    [[nodiscard]] bool failed() const;
    [[nodiscard]] Status status() const; ///< the error after which nothing was written
    [[nodiscard]] std::uint64_t inputs() const;
    [[nodiscard]] std::uint64_t blocks() const;
    [[nodiscard]] std::uint64_t bytes() const; ///< of the file
    [[nodiscard]] std::uint64_t records() const;

private:
    struct Impl;
    explicit RecordingWriter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// Reads what a recording holds. Damage ends neither reading nor is it passed over: inputs that
/// are missing come as input::Lost, and damage() tells where.
class RecordingReader {
public:
    /// An error says what is wrong with a file of which nothing can be read.
    static Result<std::unique_ptr<RecordingReader>> open(const std::string& path);
    ~RecordingReader();
    RecordingReader(const RecordingReader&) = delete;
    RecordingReader& operator=(const RecordingReader&) = delete;

    [[nodiscard]] const Origin& origin() const;
    /// The next input, valid until the next call; null at the end.
    const Input* next();
    /// What is broken or missing so far, a line each without the file's name.
    [[nodiscard]] const std::vector<std::string>& damage() const;
    [[nodiscard]] std::uint64_t position() const; ///< bytes read
    [[nodiscard]] std::uint64_t size() const;     ///< of the file, when it was opened

private:
    struct Impl;
    explicit RecordingReader(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace tcpsaga
