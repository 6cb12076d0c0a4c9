package perenne.pnp.store;

import jakarta.enterprise.context.ApplicationScoped;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;

/**
 * Brings the database's tables to this release, in one transaction under an advisory lock, so that nodes that start together
 * do it once. It happens before the first use of the database, not at deployment: that must not wait for a database.
 */
@ApplicationScoped
public class Schema {

    /** In order; a script that was ever released is never changed, only followed by another. */
    static final List<String> SCRIPTS = List.of("001-person.sql", "002-ledger.sql");

    /** Any number that no other user of the database takes: "pnp" in ASCII. */
    private static final int LOCK = 0x706e70;

    private volatile boolean current;

    /**
     * Migrates and commits, unless this node knows that it has been done.
     *
     * @param connection in a transaction that has done nothing yet
     * @throws SQLException 55P03 when another node holds the lock for more than 5 s
     */
    void ensure(Connection connection) throws SQLException {
        if (current) {
            return;
        }
        try (Statement statement = connection.createStatement()) {
            statement.execute("SET LOCAL lock_timeout = '5s'");
            statement.execute("SELECT pg_advisory_xact_lock(" + LOCK + ")");
            statement.execute("CREATE TABLE IF NOT EXISTS schema_version ("
                    + "version int PRIMARY KEY, script text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())");
            for (int version = version(statement) + 1; version <= SCRIPTS.size(); version++) {
                String script = SCRIPTS.get(version - 1);
                statement.execute(read(script));
                statement.execute("INSERT INTO schema_version (version, script) VALUES (" + version + ", '" + script + "')");
            }
        }
        connection.commit();
        current = true;
    }

    /** The database is not the one that was migrated. */
    void forget() {
        current = false;
    }

    private static int version(Statement statement) throws SQLException {
        try (ResultSet rows = statement.executeQuery("SELECT coalesce(max(version), 0) FROM schema_version")) {
            rows.next();
            return rows.getInt(1);
        }
    }

    static String read(String script) {
        try (InputStream stream = Schema.class.getResourceAsStream("/db/" + script)) {
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException unreadable) {
            throw new UncheckedIOException(unreadable);
        }
    }
}
