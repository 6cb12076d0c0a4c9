package perenne.pnp.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import perenne.pnp.model.Preference.Choice;
import perenne.pnp.model.Preference.Range;

class CatalogueTest {

    /** Acted on by the markup, not by the style sheet. */
    private static final List<String> ACTED_ON_BY_MARKUP = List.of("timeLimits");

    @ParameterizedTest
    @EnumSource(Level.class)
    void everyLevelHasPreferences(Level level) {
        assertTrue(Catalogue.of(level).size() >= 5);
    }

    @Test
    void aKeyNamesOnePreference() {
        assertEquals(Catalogue.all().size(), Catalogue.all().stream().map(Preference::key).distinct().count());
    }

    @TestFactory
    Stream<DynamicTest> initialValueIsValid() {
        return Catalogue.all().stream().map(preference -> DynamicTest.dynamicTest(preference.key(),
                () -> assertEquals(Optional.empty(), preference.complaint(preference.initial()))));
    }

    @TestFactory
    Stream<DynamicTest> styleSheetActsOnEveryWishThatIsThePages() throws IOException {
        String css = Files.readString(Path.of("src/main/webapp/assets/wishes.css"));
        return Stream.of(Level.PRESENTATION, Level.CONTROL).flatMap(level -> Catalogue.of(level).stream())
                .filter(preference -> preference.actor() == Preference.Actor.PAGE)
                .filter(preference -> !ACTED_ON_BY_MARKUP.contains(preference.key()))
                .flatMap(preference -> wishes(preference).map(value -> "[data-%s=\"%s\"]".formatted(
                        preference.key().replaceAll("([A-Z])", "-$1").toLowerCase(), value)))
                .map(selector -> DynamicTest.dynamicTest(selector, () -> assertTrue(css.contains(selector))));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "99", "110", "301", "+150", "0150", "1e2", "150.0", "99999999999", "abc"})
    void rangeRefuses(String text) {
        assertTrue(Catalogue.find(Level.PRESENTATION, "textSize").orElseThrow().complaint(text).isPresent());
    }

    @Test
    void preferenceIsFoundOnItsOwnLevelOnly() {
        assertTrue(Catalogue.find(Level.CONTROL, "stickyKeys").isPresent());
        assertEquals(Optional.empty(), Catalogue.find(Level.CONTENT, "stickyKeys"));
    }

    private static Stream<String> wishes(Preference preference) {
        if (preference instanceof Choice choice) {
            return choice.options().stream().skip(1).map(Preference.Option::value);
        }
        if (preference instanceof Range range) {
            return IntStream.iterate(range.minimum() + range.step(), n -> n <= range.maximum(), n -> n + range.step())
                    .mapToObj(Integer::toString);
        }
        return Stream.of("true");
    }
}
