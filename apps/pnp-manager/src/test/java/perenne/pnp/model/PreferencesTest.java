package perenne.pnp.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PreferencesTest {

    private static final Preference TEXT_SIZE = Catalogue.find(Level.PRESENTATION, "textSize").orElseThrow();
    private static final Preference STICKY_KEYS = Catalogue.find(Level.CONTROL, "stickyKeys").orElseThrow();

    @Test
    void formReplacesItsLevelAndLeavesTheOthers() {
        Preferences before = Preferences.lenient(Map.of("textSize", "150", "reduceMotion", "true", "stickyKeys", "true"));

        Preferences after = before.withForm(Level.PRESENTATION, Map.of("textSize", " 200 ")::get);

        assertEquals(Map.of("textSize", "200", "stickyKeys", "true"), after.wishes());
    }

    @Test
    void initialValueIsNoWish() {
        Preferences preferences = Preferences.NONE.withForm(Level.PRESENTATION, Map.of("textSize", "100")::get);

        assertFalse(preferences.asked(TEXT_SIZE));
        assertEquals("100", preferences.value(TEXT_SIZE));
        assertEquals(Preferences.NONE, preferences);
    }

    @Test
    void formNamesEveryFieldInError() {
        InvalidInput invalid = assertThrows(InvalidInput.class, () -> Preferences.NONE.withForm(
                Level.PRESENTATION, Map.of("textSize", "7", "contrastTheme", "pink", "fontFace", "serif")::get));

        assertEquals(List.of("preferences.presentation.contrastTheme", "preferences.presentation.textSize"),
                invalid.violations().stream().map(Violation::field).toList());
    }

    @Test
    void storedValuesThatNoLongerFitAreLeftOut() {
        Preferences preferences = Preferences.lenient(Map.of("textSize", "7", "gone", "x", "stickyKeys", "true"));

        assertEquals(Map.of("stickyKeys", "true"), preferences.wishes());
        assertTrue(preferences.asked(STICKY_KEYS));
    }

    @Test
    void wishesCannotBeChangedFromOutside() {
        Preferences.NONE.wishes().put("stickyKeys", "true");

        assertFalse(Preferences.NONE.asked(STICKY_KEYS));
    }
}
