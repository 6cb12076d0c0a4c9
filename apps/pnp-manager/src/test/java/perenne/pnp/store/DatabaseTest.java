package perenne.pnp.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import javax.sql.DataSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DatabaseTest {

    private final Deque<SQLException> openFailures = new ArrayDeque<>();
    private final Deque<SQLException> commitFailures = new ArrayDeque<>();
    private final List<String> calls = new ArrayList<>();
    private final List<Boolean> tries = new ArrayList<>();
    private final Migrated schema = new Migrated();
    private final Database database = new Database(pool(), schema);

    /** A schema that needs no migration. */
    private static class Migrated extends Schema {
        private boolean forgotten;

        @Override
        void ensure(Connection connection) {}

        @Override
        void forget() {
            forgotten = true;
        }
    }

    @Test
    void commitsAndReturnsTheConnection() {
        assertEquals("done", database.run(this::transaction));

        assertEquals(List.of("setAutoCommit", "commit", "close"), calls);
        assertEquals(List.of(false), tries);
    }

    @ParameterizedTest
    @ValueSource(strings = {"08006", "08001", "57P01", "25006", "40001"})
    void commitThatBreaksIsTriedAgainAndSaysSo(String state) {
        commitFailures.add(new SQLException("broken", state));

        assertEquals("done", database.run(this::transaction));

        assertEquals(List.of(false, true), tries);
        assertEquals(List.of("setAutoCommit", "commit", "rollback", "close", "setAutoCommit", "commit", "close"), calls);
    }

    @Test
    void poolThatCannotConnectIsTriedAgain() {
        openFailures.add(new SQLException("IJ000453: Unable to get managed connection"));

        assertEquals("done", database.run(this::transaction));
    }

    @Test
    void refusedStatementIsNotTriedAgain() {
        commitFailures.add(new SQLException("unique violation", "23505"));

        assertThrows(IllegalStateException.class, () -> database.run(this::transaction));

        assertEquals(List.of(false), tries);
    }

    @Test
    void missingTableMakesTheSchemaBeLookedAtAgain() {
        commitFailures.add(new SQLException("no such table", "42P01"));

        database.run(this::transaction);

        assertTrue(schema.forgotten);
    }

    @Test
    void exceptionOfTheTransactionRollsBack() {
        assertThrows(InterruptedUpdate.class, () -> database.run((connection, again) -> {
            throw new InterruptedUpdate();
        }));

        assertEquals(List.of("setAutoCommit", "rollback", "close"), calls);
    }

    @Test
    void stateIsFoundInTheCause() {
        SQLException driver = new SQLException("terminated", "57P01");
        assertTrue(Database.passes(new SQLException("wrapped", "XX000", driver)));
        assertFalse(Database.passes(new SQLException("syntax", "42601")));
    }

    private static class InterruptedUpdate extends RuntimeException {
        private static final long serialVersionUID = 1;
    }

    private String transaction(Connection connection, boolean again) {
        tries.add(again);
        return "done";
    }

    private DataSource pool() {
        return proxy(DataSource.class, method -> {
            if (!openFailures.isEmpty()) {
                throw openFailures.remove();
            }
            return connection();
        });
    }

    private Connection connection() {
        return proxy(Connection.class, method -> {
            calls.add(method);
            if (method.equals("commit") && !commitFailures.isEmpty()) {
                throw commitFailures.remove();
            }
            return null;
        });
    }

    private interface Answer {
        Object to(String method) throws SQLException;
    }

    private static <T> T proxy(Class<T> type, Answer answer) {
        return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type},
                (self, method, arguments) -> answer.to(method.getName())));
    }
}
